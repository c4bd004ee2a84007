CREATE TABLE user (
  id INT PRIMARY KEY AUTO_INCREMENT,
  username VARCHAR(50) NOT NULL UNIQUE,
  phone VARCHAR(20) NOT NULL,
  password_hash VARCHAR(100) NOT NULL
);
INSERT INTO user (id, username, phone, password_hash) VALUES
  (42, 'ada', '555-0142', '$2b$10$462gsi3fPjSN2BLD4YPaSe3ynoAZePpA1S6viojAZPmCP3LWZhDiO'),
  (7, 'grace', '555-0107', '$2b$10$uBLTjSx9dFQOvjN64UFne..YV2XNiz5woUwWUyJ5P9aQL7iLtetcq');
